// Of the run that the quota cut, the stretch with the highest sum stays instead of its first slots (core/select/chunks.ts): changes kept[h, :] in
// place, after top_k.wgsl chose by chunk_means. The cut run is the one whose kept slots are followed by one of its own that is not kept; up to there
// all its slots stand one after the other in kept, protected ones between them included. scores (f32, as bits), shielded, source, kept [heads,
// stride]; end, count [heads]; run of LENGTH tokens. A workgroup is a head: all threads look for the cut, then one chooses.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read> shielded: array<u32>;
@group(0) @binding(3) var<storage, read> source: array<i32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read> count: array<u32>;
@group(0) @binding(6) var<storage, read_write> kept: array<u32>;

override THREADS: u32;
override LENGTH: u32;

const INFINITY = 0x7f800000u;
const MINUS_INFINITY = 0xff800000u;

// 1 + the place in kept of the cut run's last slot; 0: no run is cut.
var<workgroup> cut: atomic<u32>;
// The run's slots that are not protected.
var<workgroup> slots: array<u32, LENGTH>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  for (var i = lane; i < count[head]; i += THREADS) {
    if (is_cut(head, i)) { atomicStore(&cut, i + 1u); } // there is one at most
  }
  workgroupBarrier();
  if (lane == 0u && atomicLoad(&cut) > 0u) { choose(head, atomicLoad(&cut) - 1u); }
}

/// Whether the i-th kept slot is the last kept one of a run that goes on.
fn is_cut(head: u32, i: u32) -> bool {
  let base = head * params.stride;
  let slot = kept[base + i];
  if (shielded[base + slot] != 0u) { return false; }
  var next = slot + 1u;
  while (next < end[head] && shielded[base + next] != 0u) { next++; }
  if (next >= end[head] || run_of(base + next) != run_of(base + slot)) { return false; }
  let at = i + next - slot;
  return at >= count[head] || kept[base + at] != next;
}

fn run_of(at: u32) -> i32 { return source[at] / i32(LENGTH); }

fn choose(head: u32, last_kept: u32) {
  let base = head * params.stride;
  let run = run_of(base + kept[base + last_kept]);
  // back to the run's first slot
  var first = last_kept;
  for (var i = last_kept; i > 0u && kept[base + i] == kept[base + i - 1u] + 1u; i--) {
    let before = base + kept[base + i - 1u];
    if (shielded[before] != 0u) { continue; }
    if (run_of(before) != run) { break; }
    first = i - 1u;
  }
  // as many as stay, then all
  var all = 0u;
  var room = 0u;
  let begin = kept[base + first];
  var last = begin;
  for (var slot = begin; slot < end[head]; slot++) {
    if (source[base + slot] >= 0 && run_of(base + slot) != run) { break; }
    if (shielded[base + slot] != 0u) { continue; }
    slots[all] = slot;
    all++;
    last = slot;
    if (slot <= kept[base + last_kept]) { room++; }
  }
  let best = best_of(base, all, room);
  var at = first;
  var i = 0u;
  for (var slot = begin; slot <= last; slot++) {
    let is_shielded = shielded[base + slot] != 0u;
    if (is_shielded || (i >= best && i < best + room)) {
      kept[base + at] = slot;
      at++;
    }
    if (!is_shielded) { i++; }
  }
}

/// Where the `room` neighbours with the highest sum begin; sums that are NaN or -inf are no sums.
fn best_of(base: u32, all: u32, room: u32) -> u32 {
  var best = 0u;
  var most = 0.0;
  var found = false;
  for (var begin = 0u; begin + room <= all; begin++) {
    var sum = 0.0;
    var up = false;
    var bad = false;
    for (var i = begin; i < begin + room; i++) {
      let bits = scores[base + slots[i]];
      if ((bits & INFINITY) != INFINITY) { sum += bitcast<f32>(bits); }
      else if (bits == INFINITY) { up = true; }
      else { bad = true; }
    }
    if (bad) { continue; }
    if (up) { return begin; }
    if (!found || sum > most) {
      found = true;
      best = begin;
      most = sum;
    }
  }
  return best;
}
