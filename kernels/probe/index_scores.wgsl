// scores[h, slot] = Σ_p counts[g, p] ReLU(queries[p, :] · keys[h, slot, :]) − ages[h] ln(1 + (last - position[h, slot]) / 64) for start <= slot < end: the score of a learned indexer. queries [pairs, DIM];
// counts [groups, pairs], of which a head of the layer takes
// its own where there are several, g = h mod groups; keys [all heads, stride, DIM]; position [all heads, stride]; ages [heads of the layer]; start, end [all heads]; scores [all heads, stride].
// A thread is a slot; workgroups: y over the heads of a layer. DIM is at most 64.
struct Params { heads: u32, firstHead: u32, stride: u32, pairs: u32, groups: u32, last: i32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> counts: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<f32>;
@group(0) @binding(4) var<storage, read> start: array<u32>;
@group(0) @binding(5) var<storage, read> end: array<u32>;
@group(0) @binding(6) var<storage, read> position: array<i32>;
@group(0) @binding(7) var<storage, read> ages: array<f32>;
@group(0) @binding(8) var<storage, read_write> scores: array<f32>;

override THREADS: u32;
override DIM: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = params.firstHead + id.y;
  let slot = start[head] + id.x;
  if (slot >= end[head]) { return; }
  let at = head * params.stride + slot;
  let own = id.y % params.groups * params.pairs;
  var sum = 0.0;
  for (var pair = 0u; pair < params.pairs; pair++) {
    var product = 0.0;
    for (var d = 0u; d < DIM; d++) { product += queries[pair * DIM + d] * keys[at * DIM + d]; }
    sum += counts[own + pair] * max(product, 0.0);
  }
  let age = max(params.last - position[at], 0);
  scores[at] = sum - ages[id.y] * log(1.0 + f32(age) / 64.0);
}
