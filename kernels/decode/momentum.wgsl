// momentum[h, e - written + i] = decay * momentum[h, …] + mean over the SHARE heads of h's company of mass[g, end[g] - written + i], for i < written and
// e = end[h]: what a written token attends to, with a memory. Heads of a company (SHARE neighbours: one, or a layer's) get the first one's.
// mass, momentum [heads, stride]; end [heads]. A thread is a written slot; workgroups: x over these, y over companies.
struct Params { heads: u32, stride: u32, written: u32, share: u32, decay: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<f32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> momentum: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= params.written) { return; }
  let first = id.y * params.share;
  var sum = 0.0;
  for (var head = first; head < first + params.share; head++) { sum += mass[head * params.stride + end[head] - params.written + i]; }
  let past = momentum[first * params.stride + end[first] - params.written + i];
  let next = params.decay * past + sum / f32(params.share);
  for (var head = first; head < first + params.share; head++) {
    momentum[head * params.stride + end[head] - params.written + i] = next;
  }
}
