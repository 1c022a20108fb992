/** Words for keys and lists: common ones that do not tell what they are for. */
import { choose, type Random } from "./random.ts";

export const ADJECTIVES =
  ("abrupt adamant agile amber ancient animated arctic ashen awkward bashful blissful bold brash brave breezy bright brittle bronze calm candid " +
    "careful cheerful chilly clever coarse colossal cordial cosy crimson curious dainty daring dazzling deft dense dim dizzy drowsy dusty eager " +
    "earnest elegant elastic exotic faint faithful fancy fearless festive fickle fierce flimsy fluffy fond frank frosty frugal fuzzy gaudy " +
    "gentle giddy gleaming glossy golden graceful gritty grumpy hasty hazy hollow humble icy idle jagged jolly jovial keen lanky lavish limber " +
    "lively lofty loyal lucid lush mellow merry mighty misty modest murky nimble noble obedient opaque ornate pale placid plush polished proud " +
    "quaint quiet rapid robust rosy rugged rustic sandy scarlet serene shaggy shiny silent silver sleek sleepy slender smoky snug sober solemn " +
    "spicy spirited splendid steady stern stormy sturdy subtle sunny supple swift tame tangy tender thorny tidy timid tranquil upbeat vague " +
    "valiant velvet vivid wary weary whimsical wild wise witty wooden woolly zany zealous").split(" ");

export const NOUNS =
  ("acorn alley almond anchor antler apron arch armchair arrow attic awning badge bagpipe balcony ballad bamboo banjo banner barley barrel basin " +
    "basket beacon beetle bell bench bicycle bishop blanket blossom bonnet bottle bramble brass bread brick bridge broom bucket buckle bugle " +
    "butter button cabin cactus camel candle canoe canyon carpet carrot castle cedar cellar chalk chapel cherry chimney circus clarinet cliff " +
    "cloak clover cobbler compass copper coral cottage cradle crane crayon cricket crown crystal curtain cushion daisy dolphin donkey drawer " +
    "drum eagle easel elbow engine envelope falcon feather fiddle flagon flannel flute fossil fountain galley garlic garment ginger glacier " +
    "goblet gravel hammer hammock harbour harness harp hazel helmet heron hinge hornet igloo inkwell island ivory jacket jasmine jigsaw kangaroo " +
    "kernel kettle kitten ladder lagoon lantern lemon lentil lettuce lichen lilac lizard locket lobster magnet mallet mango maple marble meadow " +
    "melon mirror mitten monkey mosaic mountain muffin nectar needle nettle nutmeg oasis olive onion orchard otter oyster paddle pagoda panther " +
    "parcel parrot pasture pebble pelican pencil pepper pillow pirate plateau plum pocket poppy prairie puddle pumpkin puppet quarry quilt " +
    "rabbit raft raisin raven reef ribbon river rocket rooster saddle salmon sandal saucer scarf shovel shutter sleigh slipper socket spindle " +
    "spoon squirrel stable statue stove sugar tablet tambourine teapot temple thimble thistle throne thunder tiger timber toffee trumpet tulip " +
    "tunnel turnip turtle umbrella valley vase velcro violin volcano waffle wagon walnut walrus whistle willow window wizard yarn zebra zipper")
    .split(" ");

/** A key as RULER's, "quiet-lantern". */
export const key = (next: Random): string => `${choose(next, ADJECTIVES)}-${choose(next, NOUNS)}`;

/** Seven digits, none of them leading zeros. */
export const sevenDigits = (next: Random): string => String(Math.floor(1e6 + next() * 9e6));

/** A version 4 UUID. */
export function uuid(next: Random): string {
  const hex = Array.from({ length: 32 }, (_, i) => {
    const digit = Math.floor(next() * 16);
    return (i === 12 ? 4 : i === 16 ? 8 + digit % 4 : digit).toString(16);
  }).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

const ONSETS = "b br c ch d dr f g gr h j k kr l m n p pr qu r s st t tr v w z".split(" ");
const VOWELS = "a e i o u ai ea ou".split(" ");
const CODAS = "l m n r s th nd rk x".split(" ");

/** An invented name of two or three syllables, "Vostandreal": no text has it, and nobody knows it beforehand. */
export function inventedName(next: Random): string {
  const syllable = () => choose(next, ONSETS) + choose(next, VOWELS);
  const name = syllable() + syllable() + (next() < 0.5 ? syllable() : "") + choose(next, CODAS);
  return name[0]!.toUpperCase() + name.slice(1);
}
