// What is evicted becomes part of its centroid j, one after the other in the order of the slots: with weights w and shares p = w_i / (n <- n + w_i)
//   x_j <- x_j + p (x_i - x_j) for key and value,  bias_j <- (1 - p) bias_j + p bias_i - p log p - (1 - p) log(1 - p),  count_j <- count_j + count_i
// keys, values [heads, stride, WIDTH]: D columns, and the bias in column D of the key; chains as of receive_chains, with M = 1; mass, count, receivers
// (centroids), rows [all heads, stride]; receiverCount [all heads]. Rows are read and centroids written: the sets share no slot.
// LANES threads are a centroid, and each takes every LANES-th column; workgroups: x over centroids, y over heads.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> receivers: array<u32>;
@group(0) @binding(2) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read> chains: array<u32>;
@group(0) @binding(5) var<storage, read> mass: array<f32>;
@group(0) @binding(6) var<storage, read_write> count: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<stored>;
@group(0) @binding(8) var<storage, read_write> values: array<stored>;

override THREADS: u32;
override WIDTH: u32;
override D: u32;
override BY_MASS: bool;
const LANES = 32u;
const NONE = 0xffffffffu;
// Beside attention masses nothing, against 0 / 0.
const LEAST_MASS = 1e-12;

/// A slot without a count is one token.
fn tokens(at: u32) -> f32 { return select(count[at], 1.0, count[at] == 0.0); }

fn weight(at: u32) -> f32 {
  if (BY_MASS) { return mass[at] + LEAST_MASS; }
  return tokens(at);
}

fn entropy(p: f32) -> f32 {
  var sum = 0.0;
  if (p > 0.0) { sum -= p * log(p); }
  if (p < 1.0) { sum -= (1.0 - p) * log(1.0 - p); }
  return sum;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let place = id.x / LANES;
  let lane = id.x % LANES;
  let head = id.y;
  let lists = (params.firstHead + head) * params.stride;
  let run = head * params.stride;
  let chain = 2u * run;
  let isOne = place < receiverCount[params.firstHead + head];
  var centre = 0u;
  var own = 0.0;
  var stood = 0.0;
  if (isOne) {
    centre = receivers[lists + place];
    own = weight(lists + centre);
    stood = tokens(lists + centre);
  }
  storageBarrier(); // the count that all lanes read is written below
  if (!isOne) { return; }
  let first = chains[chain + place];
  if (first == NONE) { return; }
  let to = (run + centre) * WIDTH;

  for (var d = lane; d < D; d += LANES) {
    var n = own;
    var key = f32(keys[to + d]);
    var value = f32(values[to + d]);
    for (var a = first; a != NONE; a = chains[chain + params.stride + a]) {
      let slot = rows[lists + a];
      let w = weight(lists + slot);
      n += w;
      key += w / n * (f32(keys[(run + slot) * WIDTH + d]) - key);
      value += w / n * (f32(values[(run + slot) * WIDTH + d]) - value);
    }
    keys[to + d] = stored(key);
    values[to + d] = stored(value);
  }
  if (lane != 0u) { return; }
  var n = own;
  var bias = f32(keys[to + D]);
  for (var a = first; a != NONE; a = chains[chain + params.stride + a]) {
    let slot = rows[lists + a];
    let w = weight(lists + slot);
    n += w;
    bias = (1.0 - w / n) * bias + w / n * f32(keys[(run + slot) * WIDTH + D]) + entropy(w / n);
    stood += tokens(lists + slot);
  }
  keys[to + D] = stored(bias);
  count[lists + centre] = stood;
}
