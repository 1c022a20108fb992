// What DefensiveKV's scores need to know of every head before any slot can be scored, where `recent` is the first slot of the protected run that ends
// the head, and `old` are the slots before it:
// facts[h] = recent - start; the share of the mean attention that is not on old slots; the mean of worst over old; the largest of
// max(worst, that mean) * share over old; the smallest score, at most 0 (SCORES, else 0).
// worst, mean, share [all heads, stride] (SCORES: worst and mean are the same scores, of any sum and sign); shielded (1: must stay) [all heads, stride];
// start, end [all heads]; facts [all heads, 5]. A workgroup is a head; its sums are those of the threads, then a tree.
struct Params { heads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> worst: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> share: array<f32>;
@group(0) @binding(4) var<storage, read> shielded: array<u32>;
@group(0) @binding(5) var<storage, read> start: array<u32>;
@group(0) @binding(6) var<storage, read> end: array<u32>;
@group(0) @binding(7) var<storage, read_write> facts: array<f32>;

override THREADS: u32;
override SCORES: bool;

var<workgroup> cells: array<vec4f, THREADS>;
var<workgroup> ends: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let base = head * params.stride;
  let first = start[head];
  let last = end[head];

  // where the old slots end, and the smallest score
  var until = 0u;
  var least = 0.0;
  for (var slot = first + lane; slot < last; slot += THREADS) {
    if (shielded[base + slot] == 0u) { until = slot - first + 1u; }
    if (SCORES) { least = min(least, worst[base + slot]); }
  }
  ends[lane] = until;
  cells[lane] = vec4f(least);
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      ends[lane] = max(ends[lane], ends[lane + half]);
      cells[lane] = min(cells[lane], cells[lane + half]);
    }
    workgroupBarrier();
  }
  let old = ends[0];
  least = cells[0].x;
  workgroupBarrier();

  // sums: of the mean over old, of worst over old, of the mean over the rest
  var sums = vec4f(0.0);
  for (var slot = first + lane; slot < last; slot += THREADS) {
    let a = mean[base + slot] - least;
    if (slot - first < old) { sums += vec4f(a, worst[base + slot] - least, 0.0, 0.0); } else { sums.z += a; }
  }
  cells[lane] = sums;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (lane < half) { cells[lane] += cells[lane + half]; }
    workgroupBarrier();
  }
  sums = cells[0];
  workgroupBarrier();
  let level = select(0.0, sums.y / f32(old), old > 0u);

  var top = 0.0;
  for (var slot = first + lane; slot < first + old; slot += THREADS) {
    top = max(top, max(worst[base + slot] - least, level) * share[base + slot]);
  }
  cells[lane] = vec4f(top);
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (lane < half) { cells[lane] = max(cells[lane], cells[lane + half]); }
    workgroupBarrier();
  }
  if (lane > 0u) { return; }
  var window = 1.0 - sums.x;
  if (SCORES) { window = select(0.0, sums.z / (sums.x + sums.z), sums.x + sums.z > 0.0); }
  facts[5u * head] = f32(old);
  facts[5u * head + 1u] = window;
  facts[5u * head + 2u] = level;
  facts[5u * head + 3u] = cells[0].x;
  facts[5u * head + 4u] = least;
}
