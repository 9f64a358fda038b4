//! Reading: pages of records, one request at a time.

pub mod paging;
