//! The HTTP kinds.

use super::arguments::HttpExchange;
use super::board::Client;
use super::connection::{Connection, closed_early};
use crate::http::{Progress, ResponseReader};
use std::io;

/// Sends a request and takes the whole answer.
pub async fn exchange(connection: &mut Connection, request: &[u8]) -> io::Result<()> {
    connection.awaits(true);
    connection.write(request).await?;
    let mut reader = ResponseReader::default();
    loop {
        let read = |bytes: &[u8]| if bytes.is_empty() { None } else { Some(reader.read(bytes)) };
        match connection.read(read).await?.ok_or_else(closed_early)? {
            Progress::More => {}
            Progress::Done => break,
            Progress::Wrong => return Err(io::Error::other(reader.complaint())),
        }
    }
    connection.awaits(false);
    Ok(())
}

pub async fn keep_alive(mut client: Client, kind: &HttpExchange) {
    let request = kind.request.bytes_to_send(false);
    let mut pace = None;
    loop {
        let result = async {
            let mut connection = Connection::open(&client)?;
            exchange(&mut connection, &request).await?;
            client.ready().await;
            let pace = pace.get_or_insert_with(|| client.pace());
            loop {
                let intended = pace.next(&client).await;
                exchange(&mut connection, &request).await?;
                client.done(intended);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}

/// A request, its answer, and the end that it asked for.
async fn once(client: &Client, request: &[u8]) -> io::Result<()> {
    let mut connection = Connection::open(client)?;
    exchange(&mut connection, request).await?;
    connection.awaits(true);
    match connection.read(<[u8]>::len).await? {
        0 => Ok(()),
        _ => Err(io::Error::other("more than the answer")),
    }
}

pub async fn close(mut client: Client, kind: &HttpExchange) {
    let request = kind.request.bytes_to_send(true);
    let mut pace = None;
    loop {
        let result = async {
            once(&client, &request).await?;
            client.ready().await;
            let pace = pace.get_or_insert_with(|| client.pace());
            loop {
                let intended = pace.next(&client).await;
                once(&client, &request).await?;
                client.done(intended);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}
