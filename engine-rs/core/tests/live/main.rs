//! The engine in a simulated world: scenarios, named by what must hold.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod crowd;
#[cfg(test)]
mod growth;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mix;
mod networks;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod pulse;
#[cfg(test)]
mod races;
mod shards;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tiers;
