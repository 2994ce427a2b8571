//! Speech-like sound, from a seed.

use super::Rng;

/// Samples of a second.
pub(crate) const SECOND: usize = 48_000;

/// A two-pole resonator.
struct Formant {
    a: f64,
    b: f64,
    gain: f64,
    past: [f64; 2],
}

impl Formant {
    fn new(hertz: f64, width: f64) -> Self {
        let r = (-core::f64::consts::PI * width / 48_000.0).exp();
        let a = 2.0 * r * (core::f64::consts::TAU * hertz / 48_000.0).cos();
        Self { a, b: -r * r, gain: 1.0 - r, past: [0.0; 2] }
    }
    fn pass(&mut self, x: f64) -> f64 {
        let y = self.gain * x + self.a * self.past[0] + self.b * self.past[1];
        self.past = [y, self.past[0]];
        y
    }
}

/// Sentences of syllables between pauses, over a faint noise: pulses of 90 to 220 Hz or noise through three formants.
pub(crate) fn speech(seconds: usize, seed: u64) -> Vec<i16> {
    let mut rng = Rng(seed);
    let mut noise = Rng(seed + 1);
    let mut white = move || noise.below(20_001) as f64 / 10_000.0 - 1.0;
    let mut uniform = move |from: f64, to: f64| from + (to - from) * rng.below(10_000) as f64 / 10_000.0;
    let mut out: Vec<f64> = Vec::new();
    let (mut pitch, mut phase, mut glottis) = (120.0, 0.0, [0.0; 2]);
    while out.len() < seconds * SECOND {
        for _ in 0..uniform(4.0, 14.0) as usize {
            let voiced = uniform(0.0, 1.0) < 0.75;
            let length = uniform(0.06, if voiced { 0.30 } else { 0.12 }) * 48_000.0;
            let mut formants = if voiced {
                [
                    Formant::new(uniform(300.0, 800.0), 70.0),
                    Formant::new(uniform(900.0, 2_300.0), 100.0),
                    Formant::new(2_700.0, 160.0),
                ]
            } else {
                [
                    Formant::new(uniform(3_000.0, 6_000.0), 1_500.0),
                    Formant::new(5_000.0, 2_000.0),
                    Formant::new(7_000.0, 2_500.0),
                ]
            };
            let goal = uniform(90.0, 220.0);
            for at in 0..length as usize {
                pitch += (goal - pitch) / 5_000.0;
                phase += pitch / 48_000.0;
                let pulse = if phase >= 1.0 {
                    phase -= 1.0;
                    60.0
                } else {
                    0.0
                };
                // The glottis opens softly: −12 dB an octave above 1.2 kHz.
                glottis[0] += 0.15 * (8.0 * pulse - glottis[0]);
                glottis[1] += 0.15 * (glottis[0] - glottis[1]);
                let source = if voiced { glottis[1] + 0.01 * white() } else { 0.5 * white() };
                let edge = (at as f64).min(length - at as f64) / 1_200.0;
                let envelope = 0.5 - 0.5 * (edge.min(1.0) * core::f64::consts::PI).cos();
                out.push(envelope * 6_000.0 * formants.iter_mut().map(|formant| formant.pass(source)).sum::<f64>());
            }
        }
        out.extend(core::iter::repeat_n(0.0, (uniform(0.2, 1.6) * 48_000.0) as usize));
    }
    out.iter().take(seconds * SECOND).map(|x| (x + 4.0 * white()).clamp(-32_000.0, 32_000.0) as i16).collect()
}

/// Places where the signal bends far more sharply than anywhere within 13 ms around: jumps, not glottal pulses.
pub(crate) fn clicks(pcm: &[i16]) -> Vec<usize> {
    let bend: Vec<f64> = pcm
        .windows(4)
        .map(|w| f64::from(i32::from(w[3]) - 3 * i32::from(w[2]) + 3 * i32::from(w[1]) - i32::from(w[0])).abs())
        .collect();
    // Half milliseconds; a jump is in one of them, or in two.
    let most: Vec<f64> = bend.chunks(24).map(|chunk| chunk.iter().copied().fold(0.0, f64::max)).collect();
    let mut found: Vec<usize> = Vec::new();
    for at in 27..most.len().saturating_sub(27) {
        if most[at] < 300.0 || found.last().is_some_and(|last| at * 24 - last < 480) {
            continue;
        }
        let around = most[at - 27..at - 1].iter().chain(&most[at + 2..at + 28]);
        if most[at] > 2.5 * around.copied().fold(0.0, f64::max) {
            found.push(at * 24);
        }
    }
    found
}
