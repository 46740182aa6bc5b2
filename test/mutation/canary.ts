/** A secret that must appear nowhere: no part of it is a word of the program. */
export const canary = "canary-7Qz9xK2mV4"
