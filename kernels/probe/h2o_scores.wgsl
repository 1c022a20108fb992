// H2O: sum[h, slot] += rows * mass, seen[h, slot] += the rows that could see the slot, scores = sum / seen, for start <= slot < end, whose last `rows`
// slots are the rows' own. mass: the mean over rows and heads of a group. All [all heads, stride]; start, end [all heads].
// A thread is a slot; workgroups: y over heads.
struct Params { heads: u32, stride: u32, rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> sum: array<f32>;
@group(0) @binding(5) var<storage, read_write> seen: array<f32>;
@group(0) @binding(6) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let slot = start[head] + id.x;
  if (slot >= end[head]) { return; }
  let at = head * params.stride + slot;
  let total = sum[at] + mass[at] * f32(params.rows);
  // a new row sees itself and what stands before it
  let queries = seen[at] + f32(min(params.rows, end[head] - slot));
  sum[at] = total;
  seen[at] = queries;
  scores[at] = total / queries;
}
