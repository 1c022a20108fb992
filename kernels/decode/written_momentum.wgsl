// scores[h, e - written + i] = momentum[g, end[g] - written + i] for i < written and e = end[h], infinity for the last `recent` of these; g is the first
// head of h's company of `share` neighbours. scores, as bits (an infinity can be written in no other way), and momentum [heads, stride]; end [heads].
// A thread is a written slot; workgroups: x over these, y over heads.
struct Params { heads: u32, stride: u32, written: u32, recent: u32, share: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> momentum: array<u32>;
@group(0) @binding(2) var<storage, read> end: array<u32>;
@group(0) @binding(3) var<storage, read_write> scores: array<u32>;

override THREADS: u32;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  let head = id.y;
  if (i >= params.written) { return; }
  let first = head - head % params.share;
  let own = momentum[first * params.stride + end[first] - params.written + i];
  scores[head * params.stride + end[head] - params.written + i] = select(own, 0x7f800000u, i + params.recent >= params.written);
}
