//! Turns text into a complete typed [`plan::Plan`], or into good errors.

pub mod plan;
