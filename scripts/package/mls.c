/* mls.c - the three headers as a library of their own, for those who would not compile them with a
   file of theirs: MLS_COMPILED=ON in CMake, or cc -O2 -I. -c scripts/package/mls.c */
#define MLS_IMPLEMENTATION
#include "mls_train.h"
