// mean[h] = R m / √d and form[h] = R C Rᵀ / 2d for m = sum[h] / rows and C = outer[h] / rows - m mᵀ: queries that are taken as normally distributed,
// rotated on the mean over the positions that come. R turns and shrinks the pair (i, i + d/2) by turn[i] = (mean cos, mean sin).
// sum, mean [heads, d]; outer, form [heads, d, d]; turn [d/2]; d = HEAD_DIM.
// A thread is a pair (i, j) of pairs; workgroups: x over these, y over heads.
struct Params { heads: u32, rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sum: array<f32>;
@group(0) @binding(2) var<storage, read> outer: array<f32>;
@group(0) @binding(3) var<storage, read> turn: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> form: array<f32>;

override THREADS: u32;
override HEAD_DIM: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let half = HEAD_DIM / 2u;
  let i = id.x / half;
  let j = id.x % half;
  if (i >= half) { return; }
  let rows = f32(params.rows);
  let vector = id.y * HEAD_DIM;
  let upper = (vector + i) * HEAD_DIM + j;
  let lower = upper + half * HEAD_DIM;
  let mi = vec2f(sum[vector + i], sum[vector + half + i]) / rows;
  let mj = vec2f(sum[vector + j], sum[vector + half + j]) / rows;
  // rows i and i + half (first letter), columns j and j + half (second letter)
  let a = vec2f(outer[upper], outer[upper + half]) / rows - mi.x * mj;
  let b = vec2f(outer[lower], outer[lower + half]) / rows - mi.y * mj;
  let by = turn[i];
  let across = turn[j];
  let square = 0.5 / f32(HEAD_DIM);
  let top = (a * by.x - b * by.y) * square;
  let bottom = (b * by.x + a * by.y) * square;
  form[upper] = top.x * across.x - top.y * across.y;
  form[upper + half] = top.y * across.x + top.x * across.y;
  form[lower] = bottom.x * across.x - bottom.y * across.y;
  form[lower + half] = bottom.y * across.x + bottom.x * across.y;
  if (j == 0u) {
    let scale = 1.0 / sqrt(f32(HEAD_DIM));
    mean[vector + i] = (mi.x * by.x - mi.y * by.y) * scale;
    mean[vector + half + i] = (mi.y * by.x + mi.x * by.y) * scale;
  }
}
