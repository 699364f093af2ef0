/*
 * The faulty module as an HSM on a network: a signature takes DELAY_US longer, and the processor is free meanwhile.
 */
#include "faulty.c"

__attribute__((constructor)) static void begin(void) { delay_us = DELAY_US; }
