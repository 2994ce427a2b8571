//! The way of commands to the shards, in one order for all.
//!
//! The shard of a Space's stage is first: what it had sent to the others before is with them by the time they are told, so
//! nothing of a silenced seat comes after their answer.

use std::sync::{Arc, PoisonError};

use spaces_core::command::{Applied, ApplyError, Command};
use spaces_core::ids::SpaceId;

use crate::server::{Handle, Server, ServerError};
use crate::shard::Order;
use crate::shards::Shards;

/// Commands that a shard carries out in one turn: between them it serves its connections.
const BATCH: usize = 256;

impl Server {
    /// Applies a command on every shard, and returns when it is in force everywhere: no frame of a seat that it silences
    /// leaves after this.
    ///
    /// # Errors
    /// [`ServerError`]. After a refusal nothing has changed; after a failure the command may be repeated.
    pub fn apply(&self, command: &Command) -> Result<Applied, ServerError> {
        let _order = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        apply_one(&self.shards(), command)
    }

    /// Applies many commands, in order, with a few turns of the shards for hundreds of them: what a control plane does when it
    /// starts. One answer each; a command that is refused does not keep the others back.
    #[must_use]
    pub fn apply_all(&self, commands: Vec<Command>) -> Vec<Result<Applied, ServerError>> {
        let _order = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let commands: Arc<[Command]> = commands.into();
        let mut answers = Vec::with_capacity(commands.len());
        while let Some(next) = commands.get(answers.len()) {
            let (begin, rest) = (answers.len(), commands.get(answers.len()..).unwrap_or_default());
            match rest.iter().take(BATCH).take_while(|command| batched(command).is_some()).count() {
                0 => answers.push(apply_one(&self.shards(), next)),
                run => answers.extend(apply_run(&self.shards(), &commands, begin, run)),
            }
        }
        answers
    }
}

fn apply_one(shards: &Shards, command: &Command) -> Result<Applied, ServerError> {
    let home = space_of(command).map_or(0, |space| shards.home(space));
    let (first, rest): (Vec<_>, Vec<_>) = shards.handles.iter().partition(|shard| shard.number == home);
    let rounds = match command {
        Command::Kick { .. } => vec![&rest, &first, &rest],
        _ => vec![&first, &rest],
    };
    let mut worst = Applied { fence_group: 0 };
    for group in rounds {
        let mut answers = Vec::new();
        for shard in group {
            answers.push((shard, shard.ask(|reply| Order::Apply(command.clone(), reply))?));
        }
        for (shard, answer) in answers {
            let applied = shard.wait(&answer)??;
            worst.fence_group = worst.fence_group.max(applied.fence_group);
        }
    }
    Ok(worst)
}

/// `run` commands from `begin` on, all [`batched`]. Every shard gets those of its own Spaces, then those of the others':
/// the commands of one Space stay in order everywhere.
fn apply_run(
    shards: &Shards,
    commands: &Arc<[Command]>,
    begin: usize,
    run: usize,
) -> Vec<Result<Applied, ServerError>> {
    let mut answers: Vec<Result<Applied, ServerError>> = vec![Ok(Applied { fence_group: 0 }); run];
    for at_home in [true, false] {
        let asked: Vec<_> = shards
            .handles
            .iter()
            .map(|shard| {
                let meant = |index: &usize| {
                    let home = commands.get(begin + index).and_then(batched).map(|space| shards.home(space));
                    (home == Some(shard.number)) == at_home && answers.get(*index).is_some_and(Result::is_ok)
                };
                let indices: Vec<usize> = (0..run).filter(meant).collect();
                let places: Vec<usize> = indices.iter().map(|index| begin + index).collect();
                let results = (!places.is_empty())
                    .then(|| shard.ask(|reply| Order::ApplyAll(Arc::clone(commands), places, reply)));
                (shard, indices, results)
            })
            .collect();
        for (shard, indices, results) in asked {
            let results = results.map(|asked| asked.and_then(|answer| shard.wait(&answer)));
            for (nth, index) in indices.into_iter().enumerate() {
                let Some(answer) = answers.get_mut(index) else { continue };
                merge(answer, shard, results.as_ref(), nth);
            }
        }
    }
    answers
}

type Results = Result<Vec<Result<Applied, ApplyError>>, ServerError>;

/// Adds a shard's `nth` result to what is answered.
fn merge(answer: &mut Result<Applied, ServerError>, shard: &Handle, results: Option<&Results>, nth: usize) {
    let result = match results {
        Some(Ok(results)) => match results.get(nth) {
            Some(result) => result.clone().map_err(ServerError::Refused),
            None => Err(ServerError::Timeout { shard: shard.number }),
        },
        Some(Err(failure)) => Err(failure.clone()),
        None => return,
    };
    *answer = match (answer.clone(), result) {
        (Ok(one), Ok(other)) => Ok(Applied { fence_group: one.fence_group.max(other.fence_group) }),
        (Err(first), _) | (Ok(_), Err(first)) => Err(first),
    };
}

/// The Space of a command that may share its rounds with others.
fn batched(command: &Command) -> Option<SpaceId> {
    space_of(command).filter(|_| !matches!(command, Command::Kick { .. }))
}

fn space_of(command: &Command) -> Option<SpaceId> {
    match command {
        Command::UpsertSpace { space, .. }
        | Command::SetAcl { space, .. }
        | Command::SetState { space, .. }
        | Command::Kick { space, .. }
        | Command::EndSpace { space, .. } => Some(*space),
        Command::SetRevoked { .. } => None,
    }
}
