//! Both ends against each other, without HTTP around them.
