/** True for `npm run test:faults`, which runs the whole table; else each row is in a short form. */
export const whole: boolean = process.env.PARLEY_TEST_FAULTS === "whole";
