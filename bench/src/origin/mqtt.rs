//! The MQTT responder: enough of a broker for measuring what is before it.

use super::stream::Stream;
use crate::mqtt::{Packet, PacketReader, encode, matches};
use std::io;

/// What a client has subscribed to, and what is to be said to it.
#[derive(Default)]
struct Client {
    subscriptions: Vec<(Vec<u8>, u8)>,
    last_id: u16,
    out: Vec<u8>,
    ended: bool,
}

/// Answers one client until it ends.
pub async fn respond(mut stream: Stream) -> io::Result<()> {
    let mut client = Client::default();
    let mut reader = PacketReader::default();
    while let Some(read) = stream.read(|bytes| reader.read(bytes, |packet| client.take(&packet))).await? {
        read.map_err(io::Error::other)?;
        let out = std::mem::take(&mut client.out);
        stream.write(&out).await?;
        if client.ended {
            break;
        }
    }
    Ok(())
}

impl Client {
    fn take(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::Connect { .. } => encode(&Packet::Connack { code: 0 }, &mut self.out),
            Packet::Subscribe { packet_id, filter, qos } => {
                let granted = (*qos).min(1);
                self.subscriptions.push((filter.to_vec(), granted));
                encode(&Packet::Suback { packet_id: *packet_id, code: granted }, &mut self.out);
            }
            Packet::Publish { topic, packet_id, payload } => {
                if let Some(packet_id) = packet_id {
                    encode(&Packet::Puback { packet_id: *packet_id }, &mut self.out);
                }
                let subscribed = self.subscriptions.iter().find(|(filter, _)| matches(filter, topic));
                if let Some((_, granted)) = subscribed {
                    let packet_id = (packet_id.is_some() && *granted > 0).then(|| {
                        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
                        self.last_id
                    });
                    encode(&Packet::Publish { topic, packet_id, payload }, &mut self.out);
                }
            }
            Packet::Pingreq => encode(&Packet::Pingresp, &mut self.out),
            Packet::Disconnect => self.ended = true,
            Packet::Puback { .. } | Packet::Connack { .. } | Packet::Suback { .. } | Packet::Pingresp => {}
        }
    }
}
