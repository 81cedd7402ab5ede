//! How the clients behave towards servers that are slow, wrong, hostile or gone. The servers are real ones on
//! loopback, in this process, since no model server can be asked to misbehave on purpose.

mod grpc;
mod outbound;
mod rest;
mod serve;
