// valueNorm[h, s] = sum over stripes p of parts[h, p, s - first] / GROUP, for the head's last `rows` slots, first = end - rows on, that are live: the mean over a group's query heads.
// parts [heads, stripes, rows]; valueNorm [heads, stride]; start, end [heads]. A thread is a slot; workgroups: x over slots, y over heads.
struct Params { heads: u32, stride: u32, rows: u32, stripes: u32, group: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> valueNorm: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let slot = end[head] - min(end[head], params.rows) + id.x;
  if (slot < start[head] || slot >= end[head]) { return; }
  var sum = 0.0;
  for (var stripe = 0u; stripe < params.stripes; stripe++) {
    sum += parts[(head * params.stripes + stripe) * params.rows + id.x];
  }
  valueNorm[head * params.stride + slot] = sum / f32(params.group);
}
