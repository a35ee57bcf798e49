//! Connections that are held.

use super::arguments::{First, Idle};
use super::board::Client;
use super::connection::{Connection, closed_early};
use super::tally::Timed;
use super::{http, tcp};
use std::io;

/// Opens a connection, again until it stands, and then holds it until the end. One that is lost stays lost.
pub async fn hold(mut client: Client, kind: &Idle) {
    let message = match kind.first {
        First::Nothing => Vec::new(),
        First::Tcp => vec![b'm'; kind.request.bytes.max(1)],
        First::Http => kind.request.bytes_to_send(false),
    };
    loop {
        match open(&client, kind.first, &message).await {
            Ok(connection) => {
                drop(message);
                return rest(client, connection).await;
            }
            Err(error) => client.failed(&error).await,
        }
    }
}

async fn open(client: &Client, first: First, message: &[u8]) -> io::Result<Connection> {
    let mut connection = Connection::open(client)?;
    match first {
        First::Nothing => connection.established().await?,
        First::Tcp => tcp::exchange(&mut connection, message).await?,
        First::Http => http::exchange(&mut connection, message).await?,
    }
    // Whatever the phase: it is what the connection was opened for.
    client.board.tally.borrow_mut().time(Timed::Operation, connection.started().elapsed());
    Ok(connection)
}

async fn rest(mut client: Client, mut connection: Connection) {
    client.opened();
    loop {
        let error = match connection.read(<[u8]>::len).await {
            Ok(0) => closed_early(),
            // An answer that nobody asked for, such as a 408 before the end.
            Ok(_) => continue,
            Err(error) => error,
        };
        return client.count_failure(&error);
    }
}
