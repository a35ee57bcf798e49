//! A configuration file from text to model.

use super::Path;
use ringway::config::load::load_text_with;
use ringway::config::names::NoNames;
use std::hint::black_box;

pub fn paths() -> Vec<Path> {
    let text = include_str!("../../../configs/web.cfg");
    // Many servers: what a generated file looks like.
    let mut large = String::from(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nfrontend f\n \
         bind 127.0.0.1:1\n default_backend b0\n",
    );
    for backend in 0..20 {
        large += &format!("backend b{backend}\n balance leastconn\n option httpchk GET /health\n");
        for server in 0..50 {
            large += &format!(" server s{server} 10.0.{backend}.{server}:8080 check inter 2s weight 10\n");
        }
    }
    vec![
        Path::long("config/the web file, 200 lines", move || {
            black_box(load_text_with("web.cfg", black_box(text), &NoNames).config.is_some());
        }),
        Path::long("config/1,000 servers", move || {
            assert!(load_text_with("large.cfg", black_box(&large), &NoNames).config.is_some());
        }),
    ]
}
