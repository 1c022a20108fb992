// sum[h, i] = sum over rows first <= s < behind of q[s, h, i]; outer[h, i, j] = sum over these of q[s, h, i] q[s, h, j].
// queries: row s begins at number s * rowStep, head h of it at h * WIDTH; sum [heads, HEAD_DIM]; outer [heads, HEAD_DIM, HEAD_DIM].
// A product tile by tile, as value_norms.wgsl: a thread holds 4 × 4 of `outer`. Workgroups: x over i (THREADS / 4 each), y over j (64 each), z over heads.
struct Params { heads: u32, first: u32, behind: u32, rowStep: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;
@group(0) @binding(3) var<storage, read_write> outer: array<f32>;

override THREADS: u32;
override WIDTH: u32;
override HEAD_DIM: u32;
const DEPTH = 16u;

// [DEPTH, four columns]
var<workgroup> left: array<vec4f, THREADS>;
var<workgroup> right: array<vec4f, 16u * DEPTH>;

fn query(row: u32, head: u32, column: u32) -> f32 {
  if (row >= params.behind || column >= HEAD_DIM) { return 0.0; }
  return queries[row * params.rowStep + head * WIDTH + column];
}

fn four(row: u32, head: u32, column: u32) -> vec4f {
  return vec4f(query(row, head, column), query(row, head, column + 1u), query(row, head, column + 2u), query(row, head, column + 3u));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.z;
  let quads = THREADS / 16u; // of i
  let i = group.x * 4u * quads + 4u * (lane / 16u);
  let j = group.y * 64u + 4u * (lane % 16u);
  var total = vec4f(0.0);
  var products: array<vec4f, 4>;
  for (var row = params.first; row < params.behind; row += DEPTH) {
    workgroupBarrier();
    left[lane] = four(row + lane / quads, head, group.x * 4u * quads + 4u * (lane % quads));
    for (var at = lane; at < 16u * DEPTH; at += THREADS) {
      right[at] = four(row + at / 16u, head, group.y * 64u + 4u * (at % 16u));
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let x = left[k * quads + lane / 16u];
      let y = right[k * 16u + lane % 16u];
      total += x;
      products[0] += x.x * y;
      products[1] += x.y * y;
      products[2] += x.z * y;
      products[3] += x.w * y;
    }
  }
  for (var a = 0u; a < 4u; a++) {
    if (i + a >= HEAD_DIM) { break; }
    if (j == 0u) { sum[head * HEAD_DIM + i + a] = total[a]; }
    for (var b = 0u; b < 4u; b++) {
      if (j + b < HEAD_DIM) { outer[(head * HEAD_DIM + i + a) * HEAD_DIM + j + b] = products[a][b]; }
    }
  }
}
