# The source lies beside this file: `make dist` puts both into build/vcpkg/mls, a port to copy as it is.
# Then: vcpkg install mls --overlay-ports=DIR/vcpkg
set(VCPKG_BUILD_TYPE release) # headers, and a library in C
vcpkg_extract_source_archive(SOURCE_PATH ARCHIVE "${CMAKE_CURRENT_LIST_DIR}/mls-${VERSION}.tar.gz")
vcpkg_check_features(OUT_FEATURE_OPTIONS OPTIONS FEATURES compiled MLS_COMPILED)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS -DMLS_PROGRAMS=OFF ${OPTIONS})
vcpkg_cmake_install()
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
