# A Debian package of the programs: `cpack --config build/release/CPackConfig.cmake` (docs/install.md).
include_guard()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME coppice)
set(CPACK_PACKAGE_CONTACT "The Coppice authors <coppice@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "sweeps of small transformer trainings on machines that may vanish")
set(CPACK_PACKAGE_DESCRIPTION "A coordinator splits a sweep (depth x seed x task) into jobs, workers lease
and train them, and a command-line client submits, watches and queries. A
machine that dies costs what was trained since the last checkpoint, never a
result.")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
# Adds what a Debian package alone has: units where systemd looks, settings, changelog, copyright.
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_SOURCE_DIR}/cmake/package_deb.cmake)
set(CPACK_COPPICE_SOURCE ${CMAKE_SOURCE_DIR})

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
# LibTorch is content with any BLAS, and far slower with others.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libopenblas0-openmp, gnuplot-nox, fonts-liberation")
set(dir ${CMAKE_SOURCE_DIR}/deploy/debian)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${dir}/postinst ${dir}/prerm ${dir}/postrm ${dir}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
