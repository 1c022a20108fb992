// means[h, slot] = the mean of mass over the heads of h's layer that hold the slot's token; a slot that stands for several tokens (source -1) keeps its
// own mass. mass, source (the token's index in the prompt, ascending but for the -1), means [all heads, stride]; start, end [all heads].
// A thread is a slot, and looks its token up in every head of the layer; workgroups: y over heads.
struct Params { heads: u32, kvHeads: u32, stride: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> mass: array<f32>;
@group(0) @binding(2) var<storage, read> source: array<i32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
@group(0) @binding(4) var<storage, read> end: array<u32>;
@group(0) @binding(5) var<storage, read_write> means: array<f32>;

override THREADS: u32;
const MEMORY = -1;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let head = id.y;
  let slot = start[head] + id.x;
  if (slot >= end[head]) { return; }
  let at = head * params.stride + slot;
  let token = source[at];
  if (token == MEMORY) {
    means[at] = mass[at];
    return;
  }
  var sum = 0.0;
  var holders = 0u;
  let first = head - head % params.kvHeads;
  for (var other = first; other < first + params.kvHeads; other++) {
    let base = other * params.stride;
    var low = start[other];
    var high = end[other];
    // heads that kept the same tokens have it at the same place
    var place = low + id.x;
    if (place >= high || source[base + place] != token) {
      while (low < high) {
        place = (low + high) / 2u;
        // slots that stand for several tokens say nothing of the order
        while (place < high && source[base + place] == MEMORY) { place++; }
        if (place == high) {
          high = (low + high) / 2u;
        } else if (source[base + place] < token) {
          low = place + 1u;
        } else {
          high = (low + high) / 2u;
          if (source[base + place] == token) { break; }
        }
      }
    }
    if (place < end[other] && source[base + place] == token) {
      sum += mass[base + place];
      holders++;
    }
  }
  means[at] = sum / f32(holders);
}
