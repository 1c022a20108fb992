// Every receiver j takes in what flows to it, in place: v_j <- v_j + gate Σ f_a v_i, over the assignments a of its chain, of row i = a / M; where that is
// longer than longest[h] and than v_j was, it is shortened to the longer of these (BOUNDED).
// values [heads, stride, WIDTH], of which D columns are the value; shares [heads, stride, M]; chains as of receive_chains; longest [heads]; rows, receivers
// [all heads, stride]; receiverCount [all heads]. Evicted rows are read and receivers' rows written: the sets share no slot.
// LANES threads are a receiver, and each takes every LANES-th column; workgroups: x over receivers, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, gate: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<u32>;
@group(0) @binding(2) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> chains: array<u32>;
@group(0) @binding(5) var<storage, read> shares: array<f32>;
@group(0) @binding(6) var<storage, read> longest: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<stored>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override M: u32;
override BOUNDED: bool;
const LANES = 32u;
const NONE = 0xffffffffu;

var<workgroup> squares: array<vec2f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) thread: u32) {
  let place = id.x / LANES;
  let lane = id.x % LANES;
  let head = id.y;
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let chain = run * (1u + M);
  var first = NONE;
  var to = 0u;
  if (place < receiverCount[params.firstHead + head]) {
    first = chains[chain + place];
    to = (run + receivers[lists + place]) * WIDTH;
  }
  let takes = first != NONE;

  var before = 0.0;
  var after = 0.0;
  if (takes) {
    for (var d = lane; d < D; d += LANES) {
      var added = 0.0;
      for (var a = first; a != NONE; a = chains[chain + params.stride + a]) {
        added += shares[run * M + a] * f32(values[(run + rows[lists + a / M]) * WIDTH + d]);
      }
      let was = f32(values[to + d]);
      let now = was + params.gate * added;
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
