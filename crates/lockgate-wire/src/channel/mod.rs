//! Interactive sessions on the wire: which protocol a request is upgraded to, and what its messages say.

mod upgrade;

pub use upgrade::{Upgrade, UpgradeError};
