# cpack runs it between the installation into its own folder and the making of the package.
cmake_minimum_required(VERSION 3.25)
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
set(etc ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/etc)
set(doc ${usr}/share/doc/coppice)
set(source ${CPACK_COPPICE_SOURCE})

# Units for programs in /usr/local stay with the presets, as examples.
foreach(service coordinator worker)
  file(READ ${source}/deploy/systemd/coppice-${service}.service unit)
  string(REPLACE /usr/local/ /usr/ unit "${unit}")
  file(WRITE ${usr}/lib/systemd/system/coppice-${service}.service "${unit}")
  string(TOUPPER ${service} upper)
  file(WRITE ${etc}/default/coppice-${service} "# Flags of coppice-${service} (--help lists them).\nCOPPICE_${upper}_FLAGS=\n")
endforeach()

file(COPY ${source}/deploy/debian/copyright DESTINATION ${doc})
file(REMOVE ${doc}/LICENSE)
file(WRITE ${doc}/changelog.Debian "coppice (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * Built from Coppice ${CPACK_PACKAGE_VERSION}.

 -- ${CPACK_PACKAGE_CONTACT}  Thu, 01 Jan 2026 00:00:00 +0000
")
execute_process(COMMAND gzip -9nf ${doc}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
