// means[h, slot] = the mean score of the run of LENGTH neighbouring tokens that the slot is of, protected slots aside, for live slots that are not
// protected: by it whole runs are chosen (chunks.ts). -inf where it is NaN: such runs come last, the earlier first. scores, means (f32, as bits:
// infinities and NaN must not reach arithmetic, which may assume that there are none), shielded, source (ascending but for protected slots without a
// place, < 0) [heads, stride]; start, end [heads]. A thread is a slot, and the first of a run writes for all of it; workgroups: x over slots, y over
// heads.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scores: array<u32>;
@group(0) @binding(2) var<storage, read> shielded: array<u32>;
@group(0) @binding(3) var<storage, read> source: array<i32>;
@group(0) @binding(4) var<storage, read> start: array<u32>;
@group(0) @binding(5) var<storage, read> end: array<u32>;
@group(0) @binding(6) var<storage, read_write> means: array<u32>;

override THREADS: u32;
override LENGTH: i32;

const INFINITY = 0x7f800000u;
const MINUS_INFINITY = 0xff800000u;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let base = head * params.stride;
  let begin = base + start[head];
  let stop = base + end[head];
  let at = begin + id.x;
  if (at >= stop || shielded[at] != 0u) { return; }
  let run = source[at] / LENGTH;
  for (var before = at; before > begin; before--) {
    if (shielded[before - 1u] == 0u) {
      if (source[before - 1u] / LENGTH == run) { return; }
      break;
    }
  }
  let first = scores[at];
  var sum = 0.0;
  var slots = 0u;
  var same = true;
  var up = false;
  var down = false;
  var nan = false;
  var last = at;
  for (var slot = at; slot < stop; slot++) {
    if (source[slot] >= 0 && source[slot] / LENGTH != run) { break; }
    if (shielded[slot] != 0u) { continue; }
    let bits = scores[slot];
    if ((bits & INFINITY) != INFINITY) {
      sum += bitcast<f32>(bits);
    } else {
      up |= bits == INFINITY;
      down |= bits == MINUS_INFINITY;
      nan |= bits != INFINITY && bits != MINUS_INFINITY;
    }
    same &= bits == first;
    slots++;
    last = slot;
  }
  // runs of equal scores are equal, however many: a sum divided by its terms need not give them back
  var mean = first;
  if (nan || down) { mean = MINUS_INFINITY; }
  else if (up) { mean = INFINITY; }
  else if (!same) { mean = bitcast<u32>(sum / f32(slots)); }
  for (var slot = at; slot <= last; slot++) {
    if (shielded[slot] == 0u) { means[slot] = mean; }
  }
}
