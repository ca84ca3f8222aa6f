import { randomFrom } from "../test/support/random.ts";

// Texts that an index cannot tell from what people write: few words are in nearly every message,
// most words are in very few. All of it comes from a seed, so that every run has the same.

/** The words of the first ranks, which people use most. */
export const COMMON_WORDS = (
  "the and you that was for are with they this have from one had not but what all were when " +
  "your can said there use each which she how their will other out many then them these " +
  "some her would make like him into time has look two more write see number way could people"
).split(" ");

const SYLLABLES = (
  "ba bel cal cre dan dor el en fal fi gar gol han hu in jor ka kel lan lo mar mer mi nar nes " +
  "ol pan per qua ra ren ri sal sen sta sul tan ter ti ul va ven vor wen wil xan yar zen zo"
).split(" ");

const WORDS = 50_000;

/** Makes bodies of 4 to 19 words, about 70 bytes on the average. */
export function sentencesFrom(seed: number): () => string {
  const random = randomFrom(seed);
  const words = [...COMMON_WORDS];
  while (words.length < WORDS) words.push(wordFrom(random));
  // By Zipf's law the word of a rank is as frequent as one divided by the rank.
  const word = () => words[Math.floor(WORDS ** random()) - 1] ?? words[0]!;
  return () => {
    const said = Array.from({ length: 4 + Math.floor(random() * 16) }, word).join(" ");
    return `${said[0]!.toUpperCase()}${said.slice(1)}.`;
  };
}

function wordFrom(random: () => number): string {
  const syllables = 2 + Math.floor(random() * 3);
  const one = () => SYLLABLES[Math.floor(random() * SYLLABLES.length)]!;
  return Array.from({ length: syllables }, one).join("");
}
