// parts[i] = 1 / receivers where evicted slot i is merged into the next m kept slots, by chance min(1, a_i / their mean a), else 0.
// The draw is a hash of head and token, the same as on the CPU.
// parts [heads, stride]; mass, tokens, rows (evicted), receivers (all kept slots) [all heads, stride]; start, rowCount, receiverCount [all heads].
// A thread is an evicted slot.
struct Params { heads: u32, firstHead: u32, stride: u32, m: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<f32>;
@group(0) @binding(2) var<storage, read> tokens: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> rowCount: array<u32>;
@group(0) @binding(6) var<storage, read> receivers: array<u32>;
@group(0) @binding(7) var<storage, read> receiverCount: array<u32>;
@group(0) @binding(8) var<storage, read_write> parts: array<f32>;

override THREADS: u32;

/// Uniform in [0, 2^32): the finaliser of murmur3.
fn draw(head: u32, token: u32) -> u32 {
  var x = ((head + 1u) * 0x9e3779b1u) ^ ((token + 1u) * 0x85ebca6bu);
  x = (x ^ (x >> 16u)) * 0x85ebca6bu;
  x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
  return x ^ (x >> 16u);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = params.firstHead + id.y;
  if (id.x >= rowCount[head]) { return; }
  let lists = head * params.stride;
  let slot = rows[lists + id.x];
  // as many kept slots lie before an evicted one as its slot is beyond its place
  let next = slot - start[head] - id.x;
  let end = min(receiverCount[head], next + params.m);
  var sum = 0.0;
  for (var k = next; k < end; k++) { sum += mass[lists + receivers[lists + k]]; }
  // draw < a_i / (sum / count); without mass on both sides nothing is merged
  var part = 0.0;
  let share = mass[lists + slot] * f32(end - next);
  let isCertain = share > 0.0 && share >= sum;
  if (next < end && (isCertain || f32(draw(head, tokens[lists + slot])) * (1.0 / 4294967296.0) * sum < share)) {
    part = 1.0 / f32(end - next);
  }
  parts[id.y * params.stride + id.x] = part;
}
