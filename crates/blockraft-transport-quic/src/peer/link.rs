//! A live pair of connections: frames both ways on one, transfers on the other, until one of them ends.

use blockraft_transport::bulk_inbox::BulkBudget;
use blockraft_transport::connections::Connection;
use blockraft_transport::limits::FRAME_BYTES_MAX;
use quinn::{RecvStream, SendStream};
use tokio::task::JoinSet;

use crate::endpoint::{Purpose, widen};
use crate::frame::read_bytes;
use crate::limits::QuicLimits;
use crate::peer::bulk_lane;
use crate::peer::pairing::Pair;
use crate::refusal::Refusal;

/// What a transfer or a status needs of a link.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) control: quinn::Connection,
    pub(crate) bulk: quinn::Connection,
}

impl Pair {
    pub(crate) fn route(&self) -> Route {
        Route { control: self.control.connection.clone(), bulk: self.bulk.connection.clone() }
    }

    pub(crate) fn close(&self, refusal: Refusal) {
        refusal.close(&self.control.connection);
        refusal.close(&self.bulk.connection);
    }
}

/// Carries frames and transfers until the link ends, and says why it did. Both connections are closed then.
pub(crate) async fn carry(link: Connection<Route>, mut pair: Pair, budget: BulkBudget, limits: &QuicLimits) -> String {
    widen(&pair.control.connection, Purpose::Control);
    widen(&pair.bulk.connection, Purpose::Bulk);
    let (control, bulk) = (pair.control.connection.clone(), pair.bulk.connection.clone());
    let why = tokio::select! {
        why = write_frames(&link, &mut pair.control.send) => why,
        why = read_frames(&link, &mut pair.control.receive) => why,
        why = take_transfers(&bulk, &budget, limits) => why,
        why = control.closed() => why.to_string(),
        () = link.ended() => "replaced, forgotten or closed here".to_owned(),
    };
    pair.close(Refusal::Replaced);
    why
}

async fn write_frames(link: &Connection<Route>, send: &mut SendStream) -> String {
    while let Some(frame) = link.next_frame().await {
        let length = u32::try_from(frame.len()).expect("frames are checked against their limit").to_be_bytes();
        let written = match send.write_all(&length).await {
            Ok(()) => send.write_chunk(frame).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            return error.to_string();
        }
    }
    "replaced, forgotten or closed here".to_owned()
}

async fn read_frames(link: &Connection<Route>, receive: &mut RecvStream) -> String {
    loop {
        let mut length = [0; 4];
        if let Err(error) = receive.read_exact(&mut length).await {
            return error.to_string();
        }
        let bytes = u32::from_be_bytes(length) as usize;
        if FRAME_BYTES_MAX < bytes {
            return format!("a frame of {bytes} bytes");
        }
        match read_bytes(receive, bytes).await {
            Ok(frame) => {
                if let Err(error) = link.deliver(frame).await {
                    return error.to_string();
                }
            }
            Err(error) => return error.to_string(),
        }
    }
}

async fn take_transfers(bulk: &quinn::Connection, budget: &BulkBudget, limits: &QuicLimits) -> String {
    let mut taking = JoinSet::new();
    loop {
        let stream = match bulk.accept_uni().await {
            Ok(stream) => stream,
            Err(error) => return error.to_string(),
        };
        let (budget, patience, time_max) = (budget.clone(), limits.bulk_patience, limits.bulk_transfer_time_max);
        taking.spawn(async move { bulk_lane::take(stream, &budget, patience, time_max).await });
        while taking.try_join_next().is_some() {}
    }
}
