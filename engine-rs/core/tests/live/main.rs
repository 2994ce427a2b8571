//! The engine in a simulated world: scenarios, named by what must hold.

#[cfg(test)]
mod networks;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod sim;
