// Every receiver j takes in what flows to it, in place:
//   v_j <- (b_j v_j + gamma Σ f_a v_i) / (b_j + gamma Σ f_a)   over the assignments a of its chain, of row i = a / M; b_j its mass (MASS) or 1.
// With MASS its logits rise by what it received: column D of its key row grows by log((b_j + gamma Σ f) / b_j).
// values, keys [heads, stride, WIDTH], of which D columns are the value; shares [heads, stride, M]; chains as of receive_chains; mass, rows, receivers
// [all heads, stride]; receiverCount [all heads]. Evicted rows are read and receivers' rows written: the sets share no slot, so this is right in place.
// LANES threads are a receiver, and each takes every LANES-th column; workgroups: x over receivers, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32, gamma: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<u32>;
@group(0) @binding(2) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> chains: array<u32>;
@group(0) @binding(5) var<storage, read> shares: array<f32>;
@group(0) @binding(6) var<storage, read> mass: array<f32>;
@group(0) @binding(7) var<storage, read_write> values: array<stored>;
@group(0) @binding(8) var<storage, read_write> keys: array<stored>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override M: u32;
override MASS: bool;
const LANES = 32u;
const NONE = 0xffffffffu;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = id.x / LANES;
  let lane = id.x % LANES;
  let head = id.y;
  if (place >= receiverCount[params.firstHead + head]) { return; }
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let chain = run * (1u + M);
  let first = chains[chain + place];
  if (first == NONE) { return; }
  let slot = receivers[lists + place];
  var own = 1.0;
  if (MASS) { own = mass[lists + slot]; }

  var received = 0.0;
  for (var a = first; a != NONE; a = chains[chain + params.stride + a]) { received += shares[run * M + a]; }
  if (received == 0.0) { return; }
  let all = own + params.gamma * received;
  for (var d = lane; d < D; d += LANES) {
    var flowed = 0.0;
    for (var a = first; a != NONE; a = chains[chain + params.stride + a]) {
      flowed += shares[run * M + a] * f32(values[(run + rows[lists + a / M]) * WIDTH + d]);
    }
    let at = (run + slot) * WIDTH + d;
    values[at] = stored(own / all * f32(values[at]) + params.gamma / all * flowed);
  }
  if (MASS && lane == 0u) { keys[(run + slot) * WIDTH + D] = stored(f32(keys[(run + slot) * WIDTH + D]) + log(all / own)); }
}
