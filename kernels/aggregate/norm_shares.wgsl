// share[h, slot] = norm[h, slot] / the sum of norm over the heads of h's layer, of the same token, for the `count` last slots before end[h]; these are
// the same tokens in all heads of a layer. At least 1e-30, as zero would mean: not known yet.
// norm, share [all heads, stride]; end [all heads]; a layer has kvHeads heads. A thread is a slot; workgroups: y over heads.
struct Params { heads: u32, kvHeads: u32, stride: u32, count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> share: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  if (id.x >= params.count) { return; }
  let first = head - head % params.kvHeads;
  let back = params.count - id.x;
  var total = 0.0;
  for (var other = first; other < first + params.kvHeads; other++) { total += norm[other * params.stride + end[other] - back]; }
  let at = head * params.stride + end[head] - back;
  share[at] = max(select(1.0 / f32(params.kvHeads), norm[at] / total, total > 0.0), 1e-30);
}
