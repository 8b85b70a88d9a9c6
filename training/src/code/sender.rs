//! A trial that sends its labels: a training for every block but the first, one on all samples, and what its weights cost.

use std::f64::consts::LN_2;
use std::sync::Arc;

use descent_spec::asked::{Asked, CodeSpec};
use descent_spec::details::{Code, CodeBlock, DescriptionLength, Details};
use descent_spec::outcome::{Measurement, TrialResult};
use descent_spec::trial::{Experiment, Spread, TrialSpec};
use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::sent::{BITS, Sent};
use crate::course::{Answer, Course, Run, Saved, Turn, steps};
use crate::mlp::Plan;
use crate::pack::{Member, TrainError};

/// A trial that sends its labels.
pub(crate) struct Sender {
    member: Member,
    /// Of the arithmetic that trains it.
    instruction_set: String,
    code: CodeSpec,
    blocks: Arc<Blocks>,
    /// Of the training on all samples.
    plan: Plan,
    note: Note,
    /// Weights of the network that was trained on all samples.
    weights: Option<Vec<u8>>,
    /// What of them is sent.
    sent: Option<Sent>,
}

/// What it has heard.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Trainings that are over.
    stage: usize,
    /// Blocks that are sent.
    sent: Vec<CodeBlock>,
    /// What of this block's network codes it, so far; `None`: equal probabilities.
    choice: Option<Choice>,
    /// Measurements since.
    since: u32,
    /// Whether this stage's training has been heard enough of.
    is_heard: bool,
    /// How the training on all samples ended.
    last: Option<TrialResult>,
    /// Rounded networks.
    rounded: Vec<Rounded>,
}

/// A network at the end of an epoch.
#[derive(Serialize, Deserialize)]
struct Choice {
    epoch: u32,
    /// Loss on the held-out samples.
    held_out: Option<f64>,
    bits: f64,
    error: Option<f64>,
}

/// A network whose weights have few bits.
#[derive(Serialize, Deserialize)]
struct Rounded {
    bits: u32,
    label_bits: Option<f64>,
    test_error: Option<f64>,
}

/// What a stage is about.
enum Part {
    /// A network that codes this block.
    Block(usize),
    /// The network trained on all samples.
    All,
    /// The same with weights of so many bits.
    Rounded(u32),
}

impl Sender {
    /// From the start, or where it was saved.
    ///
    /// # Errors
    /// When the description asks for a network that cannot be, or what was saved is of another trial.
    pub(crate) fn new(
        member: Member,
        instruction_set: String,
        blocks: Arc<Blocks>,
        saved: Option<Saved>,
    ) -> Result<Self, TrainError> {
        let Asked::Code(code) = member.spec.asked else {
            return Err(TrainError::BadSpec("no code is asked for".to_owned()));
        };
        let mut sender = Self {
            plan: Plan::new(&once(&member.spec), &blocks.data)?,
            member,
            instruction_set,
            code,
            blocks,
            note: Note::default(),
            weights: None,
            sent: None,
        };
        if let Some(mut saved) = saved {
            let broken = |error| TrainError::Artifact(format!("not a code: {error}"));
            sender.note = serde_json::from_str(&saved.note).map_err(broken)?;
            if let Some(weights) = saved.files.pop() {
                sender.sent = Some(Sent::read(&weights, &sender.plan)?);
                sender.weights = Some(weights);
            }
            let fits = sender.note.stage < sender.stages()
                && (sender.sent.is_some() || !matches!(sender.part(), Part::Rounded(_)));
            if !fits {
                return Err(TrainError::Artifact("of another code".to_owned()));
            }
        }
        Ok(sender)
    }

    /// Blocks that a network codes.
    fn learned(&self) -> usize {
        self.blocks.count() - 1
    }

    fn stages(&self) -> usize {
        self.learned() + 1 + BITS.len()
    }

    fn part(&self) -> Part {
        let stage = self.note.stage;
        match stage.checked_sub(self.learned()) {
            None => Part::Block(stage + 1),
            Some(0) => Part::All,
            Some(after) => Part::Rounded(BITS[after - 1]),
        }
    }

    /// The training for a block.
    fn spec(&self, block: usize) -> TrialSpec {
        let mut spec = once(&self.member.spec);
        let train = &mut spec.train;
        train.epochs = self
            .code
            .epochs(self.blocks.trained(block), train.batch, train.epochs);
        if self.code.holdout == 0.0 {
            spec.evaluate.spread = Spread::End;
        }
        spec
    }

    fn run(&self, spec: TrialSpec) -> Run {
        Run {
            member: Member {
                key: 0,
                spec,
                data: self.member.data,
                checkpoint: None,
                parent_weights: None,
            },
            data: Arc::clone(&self.blocks.data),
            labels: Arc::clone(&self.blocks.labels),
            shifts: None,
            keeps_coordinates: false,
        }
    }

    fn uniform_bits(&self, samples: u32) -> f64 {
        f64::from(samples) * (self.blocks.data.outputs as f64).log2()
    }

    /// A network that codes a block was measured: takes it, if it is the best so far by what the receiver knows.
    fn judge(&mut self, block: usize, measurement: &Measurement) -> Answer {
        let (_, samples) = self.blocks.extent(block);
        // Without held-out samples, the one network that is measured.
        let held_out = match (self.code.holdout > 0.0, measurement.validation_loss) {
            (true, None) => return Answer::GoOn,
            (true, Some(loss)) => Some(loss),
            (false, _) => None,
        };
        let before = match (&self.note.choice, held_out) {
            (Some(choice), _) => choice.held_out.unwrap_or(f64::INFINITY),
            // Equal probabilities need no training.
            (None, Some(_)) => (self.blocks.data.outputs as f64).ln(),
            (None, None) => f64::INFINITY,
        };
        let better = held_out.unwrap_or(0.0) < before;
        match measurement.test_loss.filter(|loss| loss.is_finite()) {
            Some(loss) if better => {
                self.note.since = 0;
                self.note.choice = Some(Choice {
                    epoch: measurement.epoch,
                    held_out,
                    bits: loss * f64::from(samples) / LN_2,
                    error: measurement.test_error,
                });
            }
            _ => self.note.since += 1,
        }
        if self.code.patience > 0 && self.note.since >= self.code.patience {
            self.note.is_heard = true;
            return Answer::Stop;
        }
        Answer::GoOn
    }

    /// What a block's bits came to.
    fn block(&self, block: usize, choice: Option<Choice>) -> CodeBlock {
        let (sent, samples) = self.blocks.extent(block);
        let uniform_bits = self.uniform_bits(samples);
        let (bits, error, epoch) = match choice {
            None => (uniform_bits, None, None),
            Some(choice) => (choice.bits, choice.error, Some(choice.epoch)),
        };
        CodeBlock {
            sent,
            samples,
            uniform_bits,
            bits,
            error,
            epoch,
        }
    }

    /// All codes.
    fn description(&self, last: &TrialResult) -> DescriptionLength {
        let classes = self.blocks.data.outputs as f64;
        let mut blocks = vec![self.block(0, None)];
        blocks.extend(self.note.sent.iter().cloned());
        let uniform: f64 = blocks.iter().map(|block| block.uniform_bits).sum();
        let code = |code: &str, model_bits, label_bits, weight_bits, test_error| Code {
            code: code.to_owned(),
            model_bits,
            label_bits,
            weight_bits,
            test_error,
        };
        let chance = Some(1.0 - 1.0 / classes);
        let mut codes = vec![code("uniform", 0.0, uniform, None, chance)];
        if let (Some(sent), Some(loss)) = (&self.sent, last.last.train_loss) {
            let (exact, rounded) = match self.plan.subspace {
                None => ("two-part", "two-part-quantised"),
                Some(_) => ("intrinsic-dimension", "intrinsic-dimension-quantised"),
            };
            let labels = self.label_bits(loss);
            let error = last.last.test_error;
            codes.push(code(exact, sent.exact_bits(), labels, Some(32), error));
            let candidates = self.note.rounded.iter().filter_map(|network| {
                let bits = sent.rounded_bits(network.bits);
                Some((bits, network.label_bits?, network))
            });
            let total = |(model, labels, _): &(f64, f64, &Rounded)| model + labels;
            let best = candidates.min_by(|a, b| total(a).total_cmp(&total(b)));
            if let Some((model, labels, network)) = best {
                let bits = Some(network.bits);
                codes.push(code(rounded, model, labels, bits, network.test_error));
            }
        }
        let error = last.last.test_error;
        let learned = blocks.iter().map(|block| block.bits).sum();
        codes.push(code("prequential", 0.0, learned, None, error));
        // A bit for each block but the first says whether the network codes it or equal probabilities do.
        let choices = (blocks.len() - 1) as f64;
        let least = |block: &CodeBlock| block.bits.min(block.uniform_bits);
        let switched = blocks.iter().map(least).sum();
        codes.push(code("prequential-switch", choices, switched, None, error));
        DescriptionLength { codes, blocks }
    }

    /// Bits of all labels by a network with this mean loss in nats.
    fn label_bits(&self, loss: f64) -> f64 {
        loss * self.blocks.labels.len() as f64 / LN_2
    }
}

/// A trial's description as one of a single training.
fn once(spec: &TrialSpec) -> TrialSpec {
    TrialSpec {
        experiment: Experiment::RiskCurve,
        asked: Asked::Nothing,
        ..spec.clone()
    }
}

impl Course for Sender {
    fn steps(&self) -> u64 {
        let block = |block| steps(&self.spec(block), self.blocks.trained(block) as usize);
        let blocks: u64 = (1..self.blocks.count()).map(block).sum();
        blocks + self.plan.steps()
    }

    fn runs(&self) -> Vec<Run> {
        vec![match self.part() {
            Part::Block(block) => {
                let data = self.blocks.block(block);
                Run {
                    labels: data.train_y.clone().into(),
                    data,
                    ..self.run(self.spec(block))
                }
            }
            Part::All => Run {
                keeps_coordinates: true,
                ..self.run(once(&self.member.spec))
            },
            Part::Rounded(bits) => {
                let mut run = self.run(once(&self.member.spec));
                run.member.spec.evaluate.spread = Spread::End;
                let sent = self.sent.as_ref().expect("a stage that weights lead to");
                let rounded = sent.rounded(bits);
                run.member.checkpoint = Some(rounded.at_the_end(&self.plan, &self.instruction_set));
                run
            }
        }]
    }

    fn is_heard(&self, _run: usize) -> bool {
        self.note.is_heard
    }

    fn measured(&mut self, _run: usize, measurement: &Measurement) -> Answer {
        match self.part() {
            Part::Block(block) => self.judge(block, measurement),
            Part::All => Answer::Tell,
            Part::Rounded(_) => Answer::GoOn,
        }
    }

    fn ended(&mut self, _run: usize, result: TrialResult, weights: Option<Vec<u8>>) {
        self.note.is_heard = true;
        match self.part() {
            // A network that is not finite at the fixed end codes nothing; one that was before may have been chosen.
            Part::Block(_) if result.diverged && self.code.holdout == 0.0 => {
                self.note.choice = None;
            }
            Part::Block(_) => {}
            Part::All => {
                self.note.last = Some(result);
                self.sent = weights
                    .as_ref()
                    .and_then(|weights| Sent::read(weights, &self.plan).ok());
                self.weights = weights;
            }
            Part::Rounded(bits) => {
                let loss = result.last.train_loss.filter(|_| !result.diverged);
                self.note.rounded.push(Rounded {
                    bits,
                    label_bits: loss.map(|loss| self.label_bits(loss)),
                    test_error: result.last.test_error,
                });
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let over = match self.part() {
            Part::Block(block) => {
                let choice = self.note.choice.take();
                let block = self.block(block, choice);
                self.note.sent.push(block);
                false
            }
            Part::All => self.sent.is_none(),
            // Fewer bits still would say less than nothing.
            Part::Rounded(_) => {
                let samples = u32::try_from(self.blocks.labels.len()).unwrap_or(u32::MAX);
                let uniform = self.uniform_bits(samples);
                let labels = self.note.rounded.last().and_then(|last| last.label_bits);
                labels.is_none_or(|labels| labels >= uniform)
                    || self.note.stage + 1 == self.stages()
            }
        };
        self.note.stage += 1;
        self.note.since = 0;
        self.note.is_heard = false;
        match &self.note.last {
            Some(last) if over => {
                let details = Details::DescriptionLength(self.description(last));
                let result = TrialResult {
                    details: Some(details),
                    ..last.clone()
                };
                Turn::Over(Box::new(result), self.weights.take())
            }
            _ => Turn::Next,
        }
    }

    fn save(&self) -> Saved {
        Saved {
            note: serde_json::to_string(&self.note).expect("finite numbers and plain names"),
            files: self.weights.iter().cloned().collect(),
        }
    }
}
