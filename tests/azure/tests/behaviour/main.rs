//! Requirements on the simulated Azure, one module per subject. They run in virtual time, without sockets, except
//! for the loopback door. The modules are marked as tests so that the lints know them as such.

#[cfg(test)]
mod agent_pools;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod deletes;
#[cfg(test)]
mod event_control;
#[cfg(test)]
mod events;
#[cfg(test)]
mod firewall;
#[cfg(test)]
mod front_door;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod ingress;
#[cfg(test)]
mod loopback;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod peering;
#[cfg(test)]
mod principals;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod replacement;
#[cfg(test)]
mod resource_graph;
#[cfg(test)]
mod role_assignments;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod wiring;
