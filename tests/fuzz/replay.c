/* Runs a target on the files given, where there is no libFuzzer. A check that fails aborts; else the
   last line is "N passed, 0 failed". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *slash = strrchr(argv[i], '/');
        FILE *f = fopen(argv[i], "rb");
        long size = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
        uint8_t *data = size < 0 ? NULL : (uint8_t *)malloc((size_t)size + !size);
        printf("%s ", slash ? slash + 1 : argv[i]);
        fflush(stdout); /* the name is out before a crash */
        if (!data || fseek(f, 0, SEEK_SET) != 0 ||
            fread(data, 1, (size_t)size, f) != (size_t)size) {
            perror(argv[i]);
            return 1;
        }
        fclose(f);
        LLVMFuzzerTestOneInput(data, (size_t)size);
        free(data);
    }
    printf("\n%d passed, 0 failed\n", argc - 1);
    return 0;
}
