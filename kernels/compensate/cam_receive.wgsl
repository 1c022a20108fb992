// Every kept slot takes in its part of the evicted values whose next kept slots it is among, in place: v_r <- v_r + Σ part_i v_i, over the evicted slots
// between the kept slot m places before it and itself; where that is longer than longest[h] and than v_r was, it is shortened to the longer of these
// (BOUNDED).
// values [heads, stride, WIDTH], of which D columns are the value; parts [heads, stride]; longest [heads]; rows (evicted), receivers (all kept slots)
// [all heads, stride], both ascending; start, receiverCount [all heads].
// LANES threads are a kept slot, and each takes every LANES-th column; workgroups: x over kept slots, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, m: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<u32>;
@group(0) @binding(2) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> start: array<u32>;
@group(0) @binding(5) var<storage, read> parts: array<f32>;
@group(0) @binding(6) var<storage, read> longest: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<stored>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override BOUNDED: bool;
const LANES = 32u;

var<workgroup> squares: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let place = id.x / LANES;
  let lane = id.x % LANES;
  let head = id.y;
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  // as many evicted slots lie before a kept one as its slot is beyond its place
  var first = 0u;
  var last = 0u;
  var to = 0u;
  if (place < receiverCount[params.firstHead + head]) {
    let slot = receivers[lists + place];
    last = slot - start[params.firstHead + head] - place;
    if (place >= params.m) {
      let earlier = place - params.m;
      first = receivers[lists + earlier] - start[params.firstHead + head] - earlier;
    }
    to = (run + slot) * WIDTH;
  }
  let takes = first < last;

  var before = 0.0;
  var after = 0.0;
  if (takes) {
    for (var d = lane; d < D; d += LANES) {
      var added = 0.0;
      for (var i = first; i < last; i++) {
        let part = parts[run + i];
        if (part != 0.0) { added += part * f32(values[(run + rows[lists + i]) * WIDTH + d]); }
      }
      let was = f32(values[to + d]);
      let now = was + added;
      values[to + d] = stored(now);
      before += was * was;
      after += now * now;
    }
  }
  squares[thread] = vec2f(before, after);
  workgroupBarrier();
  if (!takes || !BOUNDED) { return; }
  var sum = vec2f(0.0);
  for (var i = 0u; i < LANES; i++) { sum += squares[thread - lane + i]; }
  let most = max(longest[head], sqrt(sum.x));
  let length = sqrt(sum.y);
  if (length <= most) { return; }
  for (var d = lane; d < D; d += LANES) { values[to + d] = stored(f32(values[to + d]) * (most / length)); }
}
