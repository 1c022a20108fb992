// scores[h, s] = the largest score of the other live slots, 0 at least, for the leading slots s of head h: those in front whose tokens are among the
// first `sinks`. source, scores [heads, stride]; start, end [heads]. A workgroup is a head.
struct Params { heads: u32, stride: u32, sinks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> source: array<i32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;

override THREADS: u32;

var<workgroup> parts: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = group.x;
  let run = head * params.stride;
  var leading = start[head];
  while (leading < end[head]) {
    let token = source[run + leading];
    if (token < 0 || token >= i32(params.sinks)) { break; }
    leading++;
  }
  var most = 0.0;
  for (var slot = leading + lane; slot < end[head]; slot += THREADS) { most = max(most, scores[run + slot]); }
  parts[lane] = most;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] = max(parts[lane], parts[lane + half]); }
  }
  workgroupBarrier();
  for (var slot = start[head] + lane; slot < leading; slot += THREADS) { scores[run + slot] = parts[0]; }
}
