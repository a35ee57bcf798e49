//! Statistics: the figures of every frontend, listener, backend and server as a page, CSV, JSON or typed lines.
