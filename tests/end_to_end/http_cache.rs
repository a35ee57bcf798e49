//! The HTTP cache (configuration.txt section 6), side by side with HAProxy.

use crate::support::Flavour;
use crate::support::http_origin::HttpOrigin;
use crate::support::lab::Lab;
