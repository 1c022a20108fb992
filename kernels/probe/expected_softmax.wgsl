// softmax[q] = (largest of logits[q, s], sum of exp(logits[q, s] - largest)) over the live slots s of query head q's KV head.
// logits [heads GROUP, stride]; start, end [all heads]; softmax [heads GROUP]. A workgroup is a query head.
struct Params { heads: u32, firstHead: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> start: array<u32>;
@group(0) @binding(3) var<storage, read> end: array<u32>;
@group(0) @binding(4) var<storage, read_write> softmax: array<vec2f>;

override THREADS: u32;
override GROUP: u32;
const LOWEST = -3.4028234e38;

var<workgroup> parts: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u) {
  let head = params.firstHead + group.x / GROUP;
  let run = group.x * params.stride;
  var most = LOWEST;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) { most = max(most, logits[run + slot]); }
  parts[lane] = most;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] = max(parts[lane], parts[lane + half]); }
  }
  workgroupBarrier();
  most = parts[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var slot = start[head] + lane; slot < end[head]; slot += THREADS) { sum += exp(logits[run + slot] - most); }
  parts[lane] = sum;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { parts[lane] += parts[lane + half]; }
  }
  if (lane == 0u) { softmax[group.x] = vec2f(most, parts[0]); }
}
