//! The stand-in host with a real handler process: starts, kills, triggers and answers as the contract prescribes.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod app;
#[cfg(test)]
mod http_functions;
#[cfg(test)]
mod invocation;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod queue_server;
#[cfg(test)]
mod queue_trigger;
#[cfg(test)]
mod timer;
#[cfg(test)]
mod webhook;
