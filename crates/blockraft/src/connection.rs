//! How commands find the cluster, and what they have in common.

use std::path::PathBuf;
use std::time::Duration;

use blockraft_blocks::{Cid, Codec};
use blockraft_client::{Client, ClientConfig, Consistency, Member};
use blockraft_types::NodeId;
use clap::{Args, ValueEnum};

use crate::exit::{Failure, causes};

/// Which cluster, and how patiently.
#[derive(Debug, Args)]
pub(crate) struct ConnectionArguments {
    /// The client folder of the cluster
    #[arg(long = "client", value_name = "DIR", env = "BLOCKRAFT_CLIENT", default_value = "blockraft-data/client")]
    dir: PathBuf,
    /// The node to ask first; any node can do anything
    #[arg(long, value_name = "ID")]
    node: Option<u64>,
    /// How many seconds one request may take, with all its attempts
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
}

/// How sure an answer about presence has to be.
#[derive(Debug, Args)]
pub(crate) struct ConsistencyArgument {
    /// How sure an answer about presence has to be. The bytes are always verified
    #[arg(long, value_enum, default_value = "confirmed")]
    consistency: ConsistencyName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ConsistencyName {
    /// What the node asked happens to know
    Local,
    /// "Absent" is confirmed by a quorum; "present" may miss a delete that this client hasn't heard of
    Confirmed,
    /// Confirmed by a quorum, always
    Linearizable,
}

impl ConnectionArguments {
    /// How long one request may take.
    pub(crate) const fn time_max(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Writes these members into the client folder.
    pub(crate) fn save_members(&self, members: &[Member]) -> Result<(), Failure> {
        let config = ClientConfig::load(&self.dir).map_err(|error| Failure::load(&error))?;
        let attempt = "bringing the client folder up to date";
        config.save_members(&self.dir, members).map_err(|error| Failure::failed(attempt, &error))
    }

    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let mut config = ClientConfig::load(&self.dir).map_err(|error| Failure::load(&error))?;
        config.prefer = self.node.map(NodeId);
        config.options.request_time_max = Duration::from_secs(self.timeout);
        config.options.connect_time_max = config.options.connect_time_max.min(config.options.request_time_max);
        Client::connect(config).await.map_err(|error| Failure::connect(&error))
    }
}

impl ConsistencyArgument {
    pub(crate) const fn get(&self) -> Consistency {
        match self.consistency {
            ConsistencyName::Local => Consistency::Local,
            ConsistencyName::Confirmed => Consistency::Confirmed,
            ConsistencyName::Linearizable => Consistency::Linearizable,
        }
    }
}

/// Reads a CID, and says why it is none.
pub(crate) fn parse_cid(text: &str) -> Result<Cid, String> {
    text.parse().map_err(|error: blockraft_blocks::cid::ParseCidError| causes(&error))
}

/// Reads a codec by name or number.
pub(crate) fn parse_codec(text: &str) -> Result<Codec, String> {
    text.parse().map_err(|error: blockraft_blocks::cid::ParseCodecError| error.to_string())
}
