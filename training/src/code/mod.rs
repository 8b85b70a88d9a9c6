//! Codes of labels: how many bits it takes to send them to somebody who has the inputs (Blier & Ollivier 2018).
//!
//! Nothing is used that the receiver could not know when it is needed. A block of the prequential code is coded by a network trained
//! on the labels before it; when to stop is a fixed rule, or chosen on samples held out from those labels. Networks that are sent
//! whole are paid for in bits of their weights, and so is what was chosen about them.

mod blocks;
mod sender;
mod sent;

pub(crate) use self::blocks::Blocks;
pub(crate) use self::sender::Sender;
