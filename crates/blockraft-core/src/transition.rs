//! What a role asks for when it can't go on as it is. Roles decide, `raft` performs.

use blockraft_types::NodeId;
use blockraft_types::message::CampaignReason;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transition {
    /// Go on.
    Stay,
    /// Follow in the present term, `leader` if one is known.
    Follow { leader: Option<NodeId> },
    /// Ask whether an election could be won.
    PreCampaign,
    /// Ask for votes in the next term.
    Campaign { reason: CampaignReason },
    /// Lead the present term.
    Lead,
}
