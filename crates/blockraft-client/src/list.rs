//! Listing blocks, page by page.

use blockraft_types::NodeId;
use blockraft_wire::client::{Answer, BLOCKS_MAX, Consistency, Cursor, GiveUpReason, ListedBlock, Operation};
use futures::stream::{self, Stream};
use futures::{StreamExt, TryStreamExt};
use thiserror::Error;

use crate::client::Client;
use crate::pool::{AskError, Effect};
use crate::unavailable::Unavailable;

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// Visible blocks in the order of their multihashes.
    pub blocks: Vec<ListedBlock>,
    /// Where the next page begins; `None` at the end. A page may be empty and not the last one.
    pub next: Option<Cursor>,
}

/// Why there is no page.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ListError {
    /// No member could answer. Try again later, from the same cursor.
    #[error("the blocks could not be listed")]
    Unavailable(#[source] Unavailable),
    /// The cluster won't do it.
    #[error("node {node} refuses the listing: {reason}")]
    Refused {
        /// The member that was asked.
        node: NodeId,
        /// Why.
        reason: GiveUpReason,
    },
}

impl Client {
    /// A page of at most `limit` blocks (the node may send fewer), from the beginning or where another page ended.
    ///
    /// Over all pages, every block that is visible all the time is listed exactly once; others may be. That isn't a
    /// snapshot: pages are as of different moments.
    ///
    /// # Errors
    ///
    /// [`ListError`].
    pub async fn list(
        &self,
        cursor: Option<Cursor>,
        limit: u32,
        consistency: Consistency,
    ) -> Result<ListPage, ListError> {
        let operation = Operation::List { cursor, limit: limit.clamp(1, PAGE_BLOCKS_MAX), consistency };
        let answered = self.pool.ask(&operation, Effect::Read, &mut self.pool.attempts()).await;
        match answered.map(|answered| answered.answer) {
            Ok(Answer::List { blocks, next }) => Ok(ListPage { blocks, next }),
            Ok(_) => unreachable!("the pool passes on answers of the operation's own kind only"),
            Err(error) => Err(list_error(error)),
        }
    }

    /// All blocks, fetched page by page as they are taken. After an error the stream ends.
    pub fn list_all(&self, consistency: Consistency) -> impl Stream<Item = Result<ListedBlock, ListError>> + '_ {
        let pages = stream::try_unfold(Next::First, move |next| async move {
            let cursor = match next {
                Next::First => None,
                Next::From(cursor) => Some(cursor),
                Next::End => return Ok(None),
            };
            let page = self.list(cursor, PAGE_BLOCKS_MAX, consistency).await?;
            Ok(Some((page.blocks, page.next.map_or(Next::End, Next::From))))
        });
        pages.map_ok(|blocks| stream::iter(blocks).map(Ok)).try_flatten()
    }
}

enum Next {
    First,
    From(Cursor),
    End,
}

fn list_error(error: AskError) -> ListError {
    match error {
        AskError::Unavailable(unavailable) => ListError::Unavailable(unavailable),
        AskError::Refused { node, reason } => ListError::Refused { node, reason },
        AskError::Unknown { .. } => unreachable!("reads are asked again when their answer is lost"),
        AskError::TooLarge(_) => unreachable!("a listing's request holds one name at most"),
    }
}

/// The most that a page is asked for.
const PAGE_BLOCKS_MAX: u32 = 1_000;

const _: () = assert!(PAGE_BLOCKS_MAX as usize <= BLOCKS_MAX);
