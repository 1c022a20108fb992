// Every receiver j takes in what flows to it, in place: x_j <- (x_j + Σ f_i x_i) / (1 + how many), over the rows i of its chain.
// pool [heads, stride, WIDTH], of which D columns count; shares [heads, stride]; chains as of receive_chains, with M = 1; rows, receivers
// [all heads, stride]; receiverCount [all heads]. Evicted rows are read and receivers' rows written: the sets share no slot.
// LANES threads are a receiver, and each takes every LANES-th column; workgroups: x over receivers, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<u32>;
@group(0) @binding(2) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> chains: array<u32>;
@group(0) @binding(5) var<storage, read> shares: array<f32>;
@group(0) @binding(6) var<storage, read_write> pool: array<stored>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
const LANES = 32u;
const NONE = 0xffffffffu;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = id.x / LANES;
  let head = id.y;
  if (place >= receiverCount[params.firstHead + head]) { return; }
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let chain = 2u * run;
  let first = chains[chain + place];
  if (first == NONE) { return; }
  let to = (run + receivers[lists + place]) * WIDTH;
  for (var d = id.x % LANES; d < D; d += LANES) {
    var sum = f32(pool[to + d]);
    var count = 1.0;
    for (var i = first; i != NONE; i = chains[chain + params.stride + i]) {
      sum += shares[run + i] * f32(pool[(run + rows[lists + i]) * WIDTH + d]);
      count += 1.0;
    }
    pool[to + d] = stored(sum / count);
  }
}
