use descent_spec::params::Params;
use descent_training::{data::DataStore, device::Device, open, pack::{Event, Member}};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let json = &args[1];
    let widths: Vec<u32> = args[2].split(',').map(|w| w.parse().unwrap()).collect();
    let seeds: u64 = args[3].parse().unwrap();
    let store = DataStore::new(vec![]);
    let hash = store.describe("mnist-4k").unwrap().hash;
    let mut jobs = Vec::new();
    for &w in widths.iter().rev() { for s in 0..seeds {
        let body = json.trim().trim_end_matches('}');
        let text = format!("{body},\"model.width\":{w},\"seed\":{s}}}");
        let spec = Params::from_json(&text).unwrap().resolve().unwrap();
        jobs.push((w, s, spec));
    }}
    let jobs = std::sync::Mutex::new(jobs);
    let out = std::sync::Mutex::new(std::collections::BTreeMap::<u32, Vec<[f64;5]>>::new());
    let t = std::time::Instant::now();
    std::thread::scope(|sc| { for _ in 0..2 { sc.spawn(|| loop {
        let mut group = Vec::new();
        { let mut j = jobs.lock().unwrap(); let mut sum = 0; while let Some(x) = j.pop() { sum += x.0; group.push(x); if sum >= 200 { break } } }
        if group.is_empty() { break }
        let members = group.iter().map(|(w, s, spec)| Member { key: u64::from(*w)*1000 + s, spec: spec.clone(), data: hash, checkpoint: None, parent_weights: None }).collect();
        let (mut pack, _) = open(members, &store, Device::Cpu);
        while !pack.progress().is_empty() {
            for e in pack.advance(400) { match e { Event::Finished { key, result, .. } => {
                let l = &result.last;
                out.lock().unwrap().entry((key/1000) as u32).or_default().push([l.test_loss.unwrap_or(f64::NAN), l.test_error.unwrap_or(f64::NAN), l.train_loss.unwrap_or(f64::NAN), l.train_error.unwrap_or(f64::NAN), f64::from(l.dead_units.unwrap_or(0))]);
            } Event::Failed { error, .. } => println!("{error}"), _ => {} } }
        }
    }); }});
    println!("{json} took {:.1}s", t.elapsed().as_secs_f64());
    for (w, rows) in out.into_inner().unwrap() {
        let n = rows.len() as f64; let m = |i: usize| rows.iter().map(|r| r[i]).sum::<f64>()/n;
        println!("H={w:4} te_loss {:.4} te_err {:.3} tr_loss {:.5} tr_err {:.4} dead {:.1}  [{}]", m(0), m(1), m(2), m(3), m(4), rows.iter().map(|r| format!("{:.4}", r[0])).collect::<Vec<_>>().join(" "));
    }
}
