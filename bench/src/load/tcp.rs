//! The TCP kinds.

use super::arguments::{TcpBulk, TcpExchange};
use super::board::Client;
use super::connection::{Connection, closed_early};
use std::io;

/// Sends a message and takes its echo.
pub async fn exchange(connection: &mut Connection, message: &[u8]) -> io::Result<()> {
    connection.awaits(true);
    connection.write(message).await?;
    let mut missing = message.len();
    while missing > 0 {
        let count = connection.read(<[u8]>::len).await?;
        if count == 0 {
            return Err(closed_early());
        }
        missing = missing.checked_sub(count).ok_or_else(|| io::Error::other("more came back than was sent"))?;
    }
    connection.awaits(false);
    Ok(())
}

pub async fn ping_pong(mut client: Client, kind: &TcpExchange) {
    let message = vec![b'm'; kind.bytes];
    let mut pace = None;
    loop {
        let result = async {
            let mut connection = Connection::open(&client)?;
            exchange(&mut connection, &message).await?;
            client.ready().await;
            let pace = pace.get_or_insert_with(|| client.pace());
            loop {
                let intended = pace.next(&client).await;
                exchange(&mut connection, &message).await?;
                client.done(intended);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}

pub async fn close(mut client: Client, kind: &TcpExchange) {
    let message = vec![b'm'; kind.bytes];
    let mut pace = None;
    loop {
        let result = async {
            let mut connection = Connection::open(&client)?;
            exchange(&mut connection, &message).await?;
            drop(connection);
            client.ready().await;
            let pace = pace.get_or_insert_with(|| client.pace());
            loop {
                let intended = pace.next(&client).await;
                let mut connection = Connection::open(&client)?;
                exchange(&mut connection, &message).await?;
                client.done(intended);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}

pub async fn bulk_up(mut client: Client, kind: &TcpBulk) {
    let message = vec![b'm'; kind.bytes];
    loop {
        let result = async {
            let mut connection = Connection::open(&client)?;
            connection.established().await?;
            client.ready().await;
            loop {
                let begun = std::time::Instant::now();
                connection.awaits(true);
                connection.write(&message).await?;
                client.done(begun);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}

pub async fn bulk_down(mut client: Client) {
    loop {
        let result = async {
            let mut connection = Connection::open(&client)?;
            let mut next = connection.read(<[u8]>::len).await?;
            client.ready().await;
            loop {
                if next == 0 {
                    return Err(closed_early());
                }
                let begun = std::time::Instant::now();
                connection.awaits(true);
                next = connection.read(<[u8]>::len).await?;
                client.done(begun);
            }
        };
        let Err::<(), io::Error>(error) = result.await else { continue };
        client.failed(&error).await;
    }
}
